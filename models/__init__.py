"""Models: the neural and rule-based scorers, their artefacts, and the kit that trains and measures them."""
