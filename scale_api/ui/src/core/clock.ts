// One clock for all times that are shown relative to now: it ticks once a second while somebody looks.
import { signal } from "@preact/signals";

export const now = signal(Date.now());

window.setInterval(() => {
  if (!document.hidden) now.value = Date.now();
}, 1000);
