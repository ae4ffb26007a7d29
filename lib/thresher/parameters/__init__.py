"""What notebooks ask for and pipelines give: types, values, references, and the help about them."""
