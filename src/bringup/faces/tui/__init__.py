"""The screens in the terminal, drawn with Textual."""
