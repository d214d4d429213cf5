"""Signs requests with botocore and sends them with its own HTTP client.

Reads one JSON object from standard input, {"url", "access_key_id", "calls": [...]}, and writes one list to standard
output: {"status", "body"} for each call. A call is {"method", "path", "secret"} and, as wanted, "access_key_id", "token"
(a session's), "body" (text), "headers", "region", "service", "seconds_off" (of the signer's clock), and what is changed
after signing: "send_body", "send_path", "send_headers", "send_authorization" (a text and what takes its place).
"""

import datetime
import json
import sys

from botocore.auth import SIGV4_TIMESTAMP, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.httpsession import URLLib3Session


class Signer(SigV4Auth):
    """botocore's signer with a clock that is off."""

    def __init__(self, credentials, service, region, seconds_off):
        super().__init__(credentials, service, region)
        self.off = datetime.timedelta(seconds=seconds_off)

    def _modify_request_before_signing(self, request):
        now = datetime.datetime.now(datetime.timezone.utc) + self.off
        request.context["timestamp"] = now.strftime(SIGV4_TIMESTAMP)
        super()._modify_request_before_signing(request)


def call(session, url, access_key_id, asked):
    body = asked.get("body", "")
    headers = dict(asked.get("headers", {}))
    request = AWSRequest(method=asked["method"], url=url + asked["path"], data=body.encode(), headers=headers)
    credentials = Credentials(asked.get("access_key_id", access_key_id), asked["secret"], asked.get("token"))
    region = asked.get("region", "eu-west-1")
    service = asked.get("service", "execute-api")
    Signer(credentials, service, region, asked.get("seconds_off", 0)).add_auth(request)
    if "send_path" in asked:
        request.url = url + asked["send_path"]
    if "send_body" in asked:
        request.data = asked["send_body"].encode()
    for name, value in asked.get("send_headers", {}).items():
        del request.headers[name]
        if value is not None:
            request.headers[name] = value
    if "send_authorization" in asked:
        signed = request.headers["Authorization"]
        changed = signed.replace(*asked["send_authorization"])
        assert changed != signed, signed
        del request.headers["Authorization"]
        request.headers["Authorization"] = changed
    response = session.send(request.prepare())
    return {"status": response.status_code, "body": response.content.decode()}


def main():
    asked = json.load(sys.stdin)
    session = URLLib3Session()
    calls = [call(session, asked["url"], asked["access_key_id"], one) for one in asked["calls"]]
    json.dump(calls, sys.stdout)


if __name__ == "__main__":
    main()
