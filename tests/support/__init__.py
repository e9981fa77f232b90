"""What tests share: the environment, the database between tests, and small tools."""
