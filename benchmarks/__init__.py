"""Measurements of celery-bridge beside what a user would pick instead; see README.md."""
