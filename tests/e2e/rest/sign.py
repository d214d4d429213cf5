"""Signs requests with botocore and sends them with its own HTTP client.

Reads one JSON object from standard input, {"url", "access_key_id", "calls": [...]}, and writes one list to standard
output: {"status", "body"} for each call. A call is {"method", "path"} and, as wanted, "body" (text), "headers",
"secret", "region", "service", "seconds_off" (of the signer's clock), and what is changed after signing: "send_body",
"send_path", "send_headers".
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
    credentials = Credentials(access_key_id, asked["secret"])
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
    response = session.send(request.prepare())
    return {"status": response.status_code, "body": response.content.decode()}


def main():
    asked = json.load(sys.stdin)
    session = URLLib3Session()
    calls = [call(session, asked["url"], asked["access_key_id"], one) for one in asked["calls"]]
    json.dump(calls, sys.stdout)


if __name__ == "__main__":
    main()
