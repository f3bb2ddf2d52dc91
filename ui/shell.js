// What Streamlit's page leaves out; it stands in the page itself, before Streamlit's own script.

// Where the server is. Streamlit would first ask below the page's own address, and be answered 404 twice.
window.__streamlit = { ...window.__streamlit, BACKEND_BASE_URL: new URL(".", location.href).href };

// What a page writes into its own address is no step for the Back button: one press leads to the page before.
const push = history.pushState;
history.pushState = function (state, unused, url) {
  const same = url != null && new URL(url, location.href).pathname === location.pathname;
  return (same ? history.replaceState : push).call(this, state, unused, url);
};

// On a phone the menu lies over the page: it closes when a page was chosen.
document.addEventListener("click", (event) => {
  if (!event.target.closest?.('[data-testid="stSidebarNavLink"]') || !matchMedia("(max-width: 768px)").matches) return;
  document.querySelector('[data-testid="stSidebarCollapseButton"] button')?.click();
});
