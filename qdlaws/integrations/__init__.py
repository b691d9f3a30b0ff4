"""Advisors inside other people's trainers. Importing this imports none of them.

from qdlaws.integrations.trl import LawCallback
"""
