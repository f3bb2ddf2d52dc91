# The app's image with Ray, for every pod of a cluster: docker build -t workshop . && docker build -t workshop-cluster -f deploy/cluster.Dockerfile .
FROM workshop
USER root
RUN pip install --no-cache-dir -c constraints.txt -r requirements-cluster.txt
USER 1000
