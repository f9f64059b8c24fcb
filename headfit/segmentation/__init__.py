"""Where the parts of a person end in a picture, by its colours."""
