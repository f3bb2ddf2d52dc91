// What Streamlit's page leaves out; it stands in the page itself, before Streamlit's own script.

// Where the server is. Streamlit would first ask below the page's own address, and be answered 404 twice.
window.__streamlit = { ...window.__streamlit, BACKEND_BASE_URL: new URL(".", location.href).href };

// What a page writes into its own address adds no history step: Back leads to the previous page or lesson.
const push = history.pushState, replace = history.replaceState;
let before = null;  // this page's address before it was last written
history.pushState = function (state, unused, url) {
  const to = new URL(url ?? location.href, location.href);
  const lesson = new URLSearchParams(location.search).get("lesson"), next = to.searchParams.get("lesson");
  if (to.pathname === location.pathname && !(lesson && next && lesson !== next)) {
    before = location.href;
    return replace.call(this, state, unused, url);
  }
  // Streamlit writes the next page's parameters into this page's address just before it goes there.
  if (before && to.search && to.search === location.search) replace.call(this, this.state, "", before);
  before = null;
  return push.call(this, state, unused, url);
};

// On a phone the menu lies over the page: it closes when a page was chosen.
document.addEventListener("click", (event) => {
  if (!event.target.closest?.('[data-testid="stSidebarNavLink"]') || !matchMedia("(max-width: 768px)").matches) return;
  document.querySelector('[data-testid="stSidebarCollapseButton"] button')?.click();
});

// A link to another lesson stays on the page, and Streamlit would stay at its end.
document.addEventListener("click", (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey || !event.target.closest?.('[data-testid="stPageLink-NavLink"][href*="?lesson="]')) return;
  document.querySelector('[data-testid="stMain"]')?.scrollTo({ top: 0, behavior: "instant" });
});

// The list cuts a long name; hovering shows all of it.
document.addEventListener("mouseover", (event) => {
  const cut = event.target.closest?.('[role="option"], [data-testid="stSelectbox"] [data-baseweb="select"] div');
  if (!cut || cut.title) return;
  const inner = [cut, ...cut.querySelectorAll("*")].some((part) => part.scrollWidth > part.clientWidth + 1 && getComputedStyle(part).textOverflow === "ellipsis");
  if (inner) cut.title = cut.textContent;
});

// A finger on one of Streamlit's charts scrolls the page: Plotly would take it for a zoom. A tap still shows the values.
for (const kind of ["touchstart", "touchmove", "touchend"]) {
  document.addEventListener(kind, (event) => {
    if (event.target.closest?.(".stPlotlyChart .draglayer")) event.stopPropagation();
  }, { capture: true, passive: true });
}
