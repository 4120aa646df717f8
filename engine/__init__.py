"""Pictures from text: importable and useful on its own."""
