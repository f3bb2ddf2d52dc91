// Tells the session who this browser is: a secret token and a name, kept in the browser. Draws nothing.
// Streamlit calls the function again on new data, so every call starts from what is kept.
const KEY = "dcgan-workshop-visitor", HOST_KEY = "dcgan-workshop-host";
const STORES = ["localStorage", "sessionStorage"];  // the second where the first is blocked
const sessions = new WeakMap();

function kept() {
  for (const store of STORES) {
    try {
      const who = JSON.parse(window[store].getItem(KEY));
      if (/^[0-9a-f]{32}$/.test(who?.token)) return { token: who.token, name: String(who.name ?? "") };
    } catch { /* blocked, or not ours: the next one, or a new token */ }
  }
  return window.__workshopVisitor;
}

function keep(who) {
  window.__workshopVisitor = who;  // for as long as the page is open, if nothing can be stored
  for (const store of STORES) {
    try { window[store].setItem(KEY, JSON.stringify(who)); return; } catch { /* blocked or full: the next one */ }
  }
}

function made() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  keep({ token: [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(""), name: "" });
  return kept();  // another tab may have been faster
}

// A host's ticket: this tab's alone, also after a reload.
function ticket() {
  try { return sessionStorage.getItem(HOST_KEY); } catch { return null; }
}

function keepTicket(text) {
  try { if (text) sessionStorage.setItem(HOST_KEY, text); else sessionStorage.removeItem(HOST_KEY); } catch { /* blocked: until the reload */ }
}

export default function ({ data, parentElement, setStateValue }) {
  const session = sessions.get(parentElement) ?? {};
  sessions.set(parentElement, session);
  let who = kept() ?? made();
  if (data.name != null && data.name !== who.name) keep((who = { ...who, name: data.name }));
  if (data.id) keepTicket(data.host); else setStateValue("who", { ...who, host: ticket() });

  // While a run of this browser is active, it sends a sign of life now and then: owners who are away for long make room for others.
  clearInterval(session.beat);
  if (data.id && data.run) {
    const address = `${base(data.page)}api/runs/${encodeURIComponent(data.run)}`;
    const headers = { "X-Workshop-Visitor": who.token };  // the id is public: only the secret proves who is here
    const beat = () => fetch(address, { cache: "no-store", headers }).catch(() => {});  // the next one may get through
    session.beat = setInterval(beat, 1000 * data.every);
  }
  return () => { clearInterval(session.beat); sessions.delete(parentElement); };
}
