"""What `lookalike serve` bears: latency, idle and slow clients, memory.

    python3 -u benches/peers/serve.py PROGRAM DATABASE [PHOTO]

DATABASE is the directory itself (`examples/many_images.rs` makes large ones; those have no files, so thumbnails have to lie in
their `thumbs/`); without PHOTO only searches by number are made. `wrk` makes the load, on loopback, for ten seconds each and with a bound on everything.
"""

import json
import os
import pathlib
import re
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

SECONDS = 10
REQUESTS = 100_000

SEARCH = """
math.randomseed(17)
request = function()
  local body = '{"query":' .. math.random(1, %d) .. ',"limit":20}'
  return wrk.format("POST", "/v1/search", {["Content-Type"] = "application/json"}, body)
end
"""

THUMBNAIL = """
math.randomseed(17)
request = function() return wrk.format("GET", "/v1/images/" .. math.random(1, %d) .. "/thumbnail") end
"""

UPLOAD = """
local file = io.open("%s", "rb")
local body = file:read("*a")
request = function()
  return wrk.format("POST", "/v1/search/upload", {["Content-Type"] = "image/jpeg"}, body)
end
"""

REPORT = """
done = function(summary, latency)
  io.write(string.format("REPORT %%d %%d %%.2f %%.2f %%.2f %%d\\n", summary.requests, summary.duration,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000, latency.max / 1000,
    summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout))
end
"""


class Server:
    """The program, serving."""

    def __init__(self, program, database):
        arguments = [program, "serve", "--db", database, "--addr", "127.0.0.1:0"]
        begin = time.time()
        self.process = subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:
            if found := re.search(r"http://([0-9.]+):(\d+)", line):
                self.host, self.port = found[1], int(found[2])
                break
        self.url = f"http://{self.host}:{self.port}"
        while True:
            try:
                urllib.request.urlopen(f"{self.url}/readyz").read()
                break
            except urllib.error.HTTPError:
                time.sleep(0.02)
        self.start_s = time.time() - begin

    def json(self, path):
        return json.load(urllib.request.urlopen(self.url + path))

    def memory_mb(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


def load(server, script, clients, seconds=SECONDS):
    """Runs `wrk`; gives requests, requests/s, p50, p99 and longest in ms, and failures."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script + REPORT.replace("%%", "%"))
        file.flush()
        command = ["wrk", "-t1", f"-c{clients}", f"-d{seconds}s", "--timeout", "10s", "-s", file.name, server.url]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    count, micros, p50, p99, longest, failed = re.search(r"REPORT (.*)", output)[1].split()
    rate = int(count) / (int(micros) / 1e6)
    return f"{int(count):7d} requests  {rate:8.0f}/s  p50 {p50} ms  p99 {p99} ms  max {longest} ms  {failed} failed"


def idle(server, count):
    connections = []
    for _ in range(count):
        connections.append(socket.create_connection((server.host, server.port)))
    return connections


def slow_readers(server, count, path):
    """Connections that ask for much and read nothing."""
    connections = []
    for _ in range(count):
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect((server.host, server.port))
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {server.host}:{server.port}\r\n\r\n".encode())
        connections.append(connection)
    return connections


def main():
    program, database, *photo = sys.argv[1:]
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    server = Server(program, database)
    numbers = server.json("/v1/stats")
    images = numbers["images"]
    print(f"{images} images, {numbers['vector_index']}; ready after {server.start_s:.2f} s, {server.memory_mb():.0f} MB")
    search, thumbnail = SEARCH % images, THUMBNAIL % images
    for clients in (1, 8):
        print(f"search by number, {clients} clients ", load(server, search, clients))
    if photo:
        for clients in (8,):
            print(f"thumbnail, {clients} clients        ", load(server, thumbnail, clients))
        path = os.path.abspath(photo[0])
        for clients in (1, 2):
            print(f"search by upload, {clients} clients ", load(server, UPLOAD % path, clients))
        held = idle(server, 1000)
        print("beside 1000 idle connections  ", load(server, thumbnail, 8))
        slow = slow_readers(server, 200, "/v1/images/1/file")
        print("and 200 readers that stall    ", load(server, thumbnail, 8))
        for connection in held + slow:
            connection.close()
    before, done = server.memory_mb(), 0
    while done < REQUESTS:
        line = load(server, thumbnail if photo else search, 8, 20)
        done += int(line.split()[0])
    print(f"memory {before:.0f} MB before and {server.memory_mb():.0f} MB after {done} requests")
    print(f"ended with {server.stop()}")


main()
