"""The reading side: lists and details as REST shows them. Services change things; queries only look."""
