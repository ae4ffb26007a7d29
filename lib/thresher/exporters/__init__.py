"""A pipeline's schedule for other schedulers: cron, systemd, Airflow."""
