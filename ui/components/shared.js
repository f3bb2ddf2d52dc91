// What components share: it is put before the script of each.

// The server's address, whatever prefix it lives behind: this page's, without the page's own name.
function base(page) {
  const path = location.pathname.replace(/\/+$/, "");
  return path.endsWith("/" + page) ? path.slice(0, -page.length) : path + "/";
}

function loadPlotly(root) {
  return (window.__workshopPlotly ||= window.Plotly ? Promise.resolve(window.Plotly) : new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = root + "assets/plotly/plotly.min.js";
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => { window.__workshopPlotly = undefined; reject(new Error("Plotly could not be loaded")); };
    document.head.appendChild(script);
  }));
}

