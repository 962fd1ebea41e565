"""llama.cpp: its arguments, its process, its log and its HTTP API."""
