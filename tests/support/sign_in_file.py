"""A file of providers that an installation may use: SIGN_IN_FILE."""

import io
import json
from pathlib import Path

from django.core.management import call_command


def sign_in(folder: Path, *profiles: str) -> Path:
    """A file of providers, and our key towards them."""
    key = folder / "provider.jwk"
    if not key.exists():
        call_command("people", "sign-in-key", str(key), kind="ES256", stdout=io.StringIO())
    back = "https://samsnakk.example/api/v1/sign-in/callback/"
    said = [
        {
            "id": one,
            "profile": one,
            "name": one,
            "issuer": "https://provider.example",
            "client_id": "us",
            "redirect_uri": back + one,
            "key_file": "provider.jwk",
        }
        for one in profiles or ("id-porten", "helseid")
    ]
    file = folder / f"sign-in{len(profiles)}.json"
    file.write_text(json.dumps({"providers": said}))
    file.chmod(0o600)
    return file
