"""What scenes show the model: the cast, what a story refers to, and in which order that is made."""
