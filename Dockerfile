# Flowrun for authors without a machine set up: the first stage builds the wheel, the second runs it.
#
#     docker build -t flowrun .
#     docker run --rm -v "$PWD:/work" flowrun quickstart
#
# For CPUs: where there is no nvcc, the wheel is built without its CUDA module. `.ci/image` follows these steps without a container engine; it knows
# FROM debian:…, WORKDIR, ENV, COPY, RUN and ENTRYPOINT.
FROM debian:bookworm AS build
WORKDIR /flowrun
COPY tools/setup tools/setup
COPY tools/pins tools/pins
RUN tools/setup --wheel
COPY . .
RUN tools/wheel --out /wheels

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends python3 python3-venv && rm -rf /var/lib/apt/lists/*
COPY --from=build /wheels /wheels
RUN python3 -m venv /opt/flowrun && /opt/flowrun/bin/pip install --no-cache-dir /wheels/*.whl && rm -r /wheels
ENV PATH=/opt/flowrun/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
WORKDIR /work
ENTRYPOINT ["flowrun"]
