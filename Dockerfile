# syntax=docker/dockerfile:1

FROM python:3.13-slim AS build
WORKDIR /source
COPY . .
RUN python -m venv /unjam \
    && /unjam/bin/pip install --no-cache-dir '.[postgresql,redis,stripe,adyen,paypal,mollie]'

FROM python:3.13-slim
RUN useradd --system --uid 10001 --home-dir /data --create-home unjam
COPY --from=build /unjam /unjam
ENV PATH="/unjam/bin:$PATH" \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    UNJAM_DATABASE_URL="sqlite:////data/unjam.sqlite"
USER unjam
WORKDIR /data
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health', timeout=2)"]
# With SQLite this one process also runs the worker. compose.yaml shows many processes on PostgreSQL.
CMD ["unjam", "serve", "--host", "0.0.0.0", "--port", "8000"]
