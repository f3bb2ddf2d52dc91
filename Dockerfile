# The app as one container: a Hugging Face Docker Space, or any machine with Docker.
FROM python:3.12-slim

RUN useradd --create-home --uid 1000 workshop
WORKDIR /home/workshop/app

# Torch 2.10 is the last release whose default build is for CUDA 12 (12.8): it runs on drivers from 525 on, and has code for a T4 (sm_75).
# From 2.11 on the default is CUDA 13, which needs driver 580, newer than that of the Spaces (CUDA 12.9) and of many other hosts.
#   Drivers: docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html, table 1.
#   Architectures: .ci/manywheel/build_cuda.sh in pytorch/pytorch: CUDA 12.8 is built for 7.0 7.5 8.0 8.6 9.0 10.0 12.0.
#   Seen on a Space: huggingface.co/spaces/visualisable-ai/api, commit 8b9ad4b.
# On a host with driver 580 or newer: docker build --build-arg TORCH=torch .
ARG TORCH="torch<2.11"
COPY --chown=1000:1000 requirements.txt constraints.txt .
RUN pip install --no-cache-dir -c constraints.txt -r requirements.txt "${TORCH}"
COPY --chown=1000:1000 . .
RUN chown 1000:1000 .

USER 1000
ENV PYTHONUNBUFFERED=1
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:7860/_stcore/health', timeout=4)"]
CMD ["streamlit", "run", "app.py", "--server.port=7860", "--server.address=0.0.0.0"]
