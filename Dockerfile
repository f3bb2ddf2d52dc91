# The app as one container: a Hugging Face Docker Space, or any machine with Docker.
FROM python:3.12-slim

RUN useradd --create-home --uid 1000 workshop
WORKDIR /home/workshop/app

COPY --chown=1000:1000 requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
COPY --chown=1000:1000 . .
RUN chown 1000:1000 .

USER 1000
ENV PYTHONUNBUFFERED=1
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:7860/_stcore/health', timeout=4)"]
CMD ["streamlit", "run", "app.py", "--server.port=7860", "--server.address=0.0.0.0"]
