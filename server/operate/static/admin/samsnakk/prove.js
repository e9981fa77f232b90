"use strict";
// Shows a passkey to the server, or makes the first one, and comes back to the page that was asked for.
(() => {
  const say = (id) => {
    for (const one of document.querySelectorAll("[data-said]")) one.hidden = one.dataset.said !== id;
  };
  const token = () => document.querySelector("input[name=csrfmiddlewaretoken]").value;
  const post = async (path, body) => {
    const answer = await fetch(`/api/v1/me/${path}`, {
      method: "POST",
      credentials: "same-origin",
      headers: { "Content-Type": "application/json", "X-CSRFToken": token() },
      body: JSON.stringify(body || {}),
    });
    const said = await answer.json();
    if (!answer.ok) throw Object.assign(new Error(said.code), { code: said.code });
    return said;
  };
  const prove = async () => {
    const { options } = await post("step-up/options");
    const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
    const credential = await navigator.credentials.get({ publicKey });
    await post("step-up/passkey", { credential: credential.toJSON() });
  };
  const make = async () => {
    const { options } = await post("passkeys/options");
    const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
    const credential = await navigator.credentials.create({ publicKey });
    await post("passkeys", { credential: credential.toJSON() });
    await prove();
  };
  const attempt = (act) => async () => {
    say("waiting");
    try {
      await act();
      location.reload();
    } catch (error) {
      say({ no_passkey: "none", step_up_needed: "stale" }[error.code] || "failed");
    }
  };
  document.getElementById("prove").addEventListener("click", attempt(prove));
  document.getElementById("make").addEventListener("click", attempt(make));
})();
