"""What is said of client families, against the software itself: real servers, real clients, one table."""
