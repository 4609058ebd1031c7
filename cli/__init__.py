"""The operator's command line: asks the product, and tells it what a person wants, with the product's own code."""
