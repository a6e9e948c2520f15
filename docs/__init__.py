"""How StoryLab works, in words and in tables that a program writes."""
