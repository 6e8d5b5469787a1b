"""A stand-in for the Hugging Face Hub on loopback: repositories in memory, and faults on demand."""

import base64
import hashlib
import json
import re
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = "hf_" + "notatokenofanyone"


class Hub:
    """Holds repositories by (kind, id): commits, newest last, each its files by path.

    `faults` maps a regular expression of "METHOD /path" to a status, or to "cut": half a file.
    """

    def __init__(self):
        self.repos, self.faults, self.requests, self.made = {}, {}, [], []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.hub, self._server.daemon_threads = self, True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    def put(self, repo, files, kind="model"):
        """A commit that makes a repository hold these files; returns its id."""
        commits = self.repos.setdefault((kind, repo), [])
        sha = hashlib.sha1(f"{repo}{len(commits)}".encode()).hexdigest()
        commits.append((sha, dict(files)))
        return sha

    def files(self, repo, kind="model"):
        return self.repos[kind, repo][-1][1]

    def commit(self, kind, repo, revision):
        commits = self.repos.get((kind, repo))
        if not commits:
            return None
        if revision == "main":
            return commits[-1]
        return next((commit for commit in commits if commit[0] == revision), ())


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub = property(lambda self: self.server.hub)

    def log_message(self, *_):
        pass

    def _do(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        path = self.path.partition("?")[0]
        self.hub.requests.append(f"{self.command} {path}")
        fault = next(
            (f for p, f in self.hub.faults.items() if re.search(p, self.hub.requests[-1])), 0
        )
        if isinstance(fault, int) and fault:
            return self._say({"error": "no"}, fault)
        if self.command == "POST":
            return self._write(path, body)
        if found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            return self._file(*found.groups(), fault == "cut")
        found = re.fullmatch(r"/api/(\w+)s/([^/]+/[^/]+)(?:/(tree|revision)/([^/]+))?", path)
        if not found:  # such as a Space's .gitignore
            return self._say({"error": "no"}, 404, {"X-Error-Code": "EntryNotFound"})
        kind, repo, what, revision = found.groups()
        commit = self.hub.commit(kind, repo, revision or "main")
        if not commit:
            code = "RepoNotFound" if commit is None else "RevisionNotFound"
            return self._say({"error": "no"}, 404, {"X-Error-Code": code})
        if what == "tree":
            listed = [
                {"type": "file", "path": name, "size": len(data), "oid": _oid(data)}
                for name, data in commit[1].items()
            ]
            return self._say(listed)
        siblings = [{"rfilename": name} for name in commit[1]]
        self._say({"id": repo, "sha": commit[0], "siblings": siblings, "tags": []})

    do_GET = do_HEAD = do_POST = _do

    def _file(self, repo, revision, name, cut):
        sha, files = self.hub.commit("model", repo, revision)
        data = files[name]
        start = int((self.headers.get("Range") or "bytes=0-")[6:].partition("-")[0])
        self.send_response(206 if start else 200)
        self.send_header("X-Repo-Commit", sha)
        self.send_header("ETag", f'"{_oid(data)}"')
        self.send_header("Content-Length", str(len(data) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data[start : len(data) // 2] if cut else data[start:])
        if cut and self.command == "GET":
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True

    def _write(self, path, body):
        if path == "/api/validate-yaml":
            return self._say({"errors": [], "warnings": []})
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._say({"error": "Invalid username or password."}, 401)
        if path == "/api/repos/create":
            wanted = json.loads(body)
            self.hub.made.append(wanted)
            key = wanted.get("type", "model"), f"{wanted['organization']}/{wanted['name']}"
            kind = "" if key[0] == "model" else f"{key[0]}s/"
            url = f"{self.hub.url}/{kind}{key[1]}"
            if key in self.hub.repos:
                return self._say({"error": "there already", "url": url}, 409)
            self.hub.put(key[1], {".gitattributes": b"", "README.md": b"---\n---\n"}, key[0])
            return self._say({"url": url, "name": key[1]})
        kind, repo, what = re.fullmatch(r"/api/(\w+)s/([^/]+/[^/]+)/(\w+)/main", path).groups()
        if what == "preupload":
            files = [{"path": f["path"]} for f in json.loads(body)["files"]]
            how = {"uploadMode": "regular", "shouldIgnore": False}
            return self._say({"files": [file | how for file in files]})
        files = dict(self.hub.files(repo, kind))
        for line in map(json.loads, body.splitlines()):
            if line["key"] == "file":
                files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            elif line["key"] == "deletedFile":
                del files[line["value"]["path"]]
        sha = self.hub.put(repo, files, kind)
        url = f"{self.hub.url}/{repo}/commit/{sha}"
        self._say({"commitOid": sha, "commitUrl": url, "pullRequestUrl": None})

    def _say(self, value, status=200, headers=None):
        data = json.dumps(value).encode()
        self.send_response(status)
        for name, text in (headers or {}).items():
            self.send_header(name, text)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


def _oid(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
