"""Judgement: one file per fault, pure; roots first, what follows from them folded under."""
