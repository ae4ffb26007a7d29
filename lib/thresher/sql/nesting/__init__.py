"""Arrays, maps, structs and the functions that take lambdas."""
