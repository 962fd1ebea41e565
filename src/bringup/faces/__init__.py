"""What a person sees; faces show results and know no rule."""
