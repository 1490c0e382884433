# The server in one image. Its data, where no DATABASE_URL is given, lie in the volume /var/lib/catalograph.

FROM python:3.13-slim AS build
RUN pip install --no-cache-dir uv==0.13.9
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PROJECT_ENVIRONMENT=/opt/catalograph UV_PYTHON_DOWNLOADS=never
WORKDIR /build
# The packages change less often than our code: they get a layer of their own.
COPY pyproject.toml uv.lock ./
RUN uv sync --locked --no-dev --no-install-project
COPY . .
RUN python api/explorer/build.py && uv sync --locked --no-dev --no-editable

FROM python:3.13-slim
RUN useradd --system --create-home --home-dir /var/lib/catalograph catalograph
COPY --from=build /opt/catalograph /opt/catalograph
ENV PATH=/opt/catalograph/bin:$PATH CATALOGRAPH_DATA_DIR=/var/lib/catalograph CATALOGRAPH_PORT=8080
USER catalograph
VOLUME /var/lib/catalograph
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ[\"CATALOGRAPH_PORT\"]}/healthz', timeout=2)"]
ENTRYPOINT ["catalograph"]
# On loopback, as everywhere: who may ask is the operator's to say, with --host and --insecure.
CMD ["serve"]
