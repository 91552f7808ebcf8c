"""The pages of Afterbell inside the Airflow UI."""
