"""Terms explained with this machine's own figures."""
