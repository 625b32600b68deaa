// A page that the browser takes out of its memory for "back" may be older than the site, or of somebody who has signed
// out since. It asks again; an unchanged page costs one small answer.
window.addEventListener("pageshow", (event) => {
  const [navigation] = performance.getEntriesByType("navigation");
  const isFromStore = navigation && navigation.type === "back_forward" && navigation.transferSize === 0;
  if (event.persisted || isFromStore) window.location.reload();
});
