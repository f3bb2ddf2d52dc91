// Hands the places where findings began to the live view, which draws them on its charts (run_view.js).
export default function ({ data }) {
  window.__workshopFindings = data;
  document.dispatchEvent(new CustomEvent("workshop-findings"));
}
