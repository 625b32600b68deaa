// Runs before the first paint: where the theme is left to the device, takes it over and follows its changes.
(() => {
  const root = document.documentElement;
  root.classList.add("has-js");
  if (root.dataset.theme !== "system") return;
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const apply = () => { root.dataset.bsTheme = dark.matches ? "dark" : "light"; };
  apply();
  dark.addEventListener("change", apply);
})();
