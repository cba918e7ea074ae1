"""Certificates as values: reading them, matching names, building paths, judging chains. Pure: bytes in, values out."""
