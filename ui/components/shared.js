// Shared by components: it is put before each script.

// The server's address, whatever prefix it lives behind: this page's, without the page's own name.
function base(page) {
  const path = location.pathname.replace(/\/+$/, "");
  return path.endsWith("/" + page) ? path.slice(0, -page.length) : path + "/";
}

// The theme's chart colors by role, in all charts. Role in ui/charts.py is the same.
const ROLES = { discriminator: 0, generator: 1, real: 2, score: 3 };

// Plotly's settings. On touch screens, a finger scrolls the page instead of zooming.
const PLOTLY = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["select2d", "lasso2d", "resetScale2d"], doubleClick: false };
const projected = () => matchMedia("(min-width: 1600px)").matches;
const fontSize = () => (projected() ? 15 : 12);
const dragmode = () => (matchMedia("(hover: none)").matches ? false : "zoom");

function loadPlotly(root) {
  return (window.__workshopPlotly ||= new Promise((resolve, reject) => {
    const keep = () => resolve(window.__workshopPlotlyCopy = window.Plotly);
    if (window.Plotly) { keep(); return; }
    const script = document.createElement("script");
    script.src = root + "assets/plotly/plotly.min.js";
    script.onload = keep;
    script.onerror = () => { window.__workshopPlotly = undefined; reject(new Error("Plotly could not be loaded")); };
    document.head.appendChild(script);
  }));
}

// The Plotly that drew these charts, once it is loaded. Streamlit's own charts set window.Plotly to a copy that knows nothing about them.
const plotly = () => window.__workshopPlotlyCopy;

