"""What a GGUF file says, read from a byte source without loading weights."""
