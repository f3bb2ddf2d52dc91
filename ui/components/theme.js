// Streamlit gives the theme's colors only to components, and calls this function again when the theme changes. It puts them on the
// document, for the page's own style (theme.css) and for overlays.
export default function ({ parentElement }) {
  const style = getComputedStyle(parentElement);
  for (const name of ["--st-link-color", "--st-text-color"]) document.documentElement.style.setProperty(name, style.getPropertyValue(name));
}
