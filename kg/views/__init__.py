"""What is shown of a resource: descriptions, claims, figures, issues, search, and the dataset's description."""
