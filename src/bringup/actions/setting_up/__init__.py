"""Have the right llama.cpp: chosen, obtained, proved."""
