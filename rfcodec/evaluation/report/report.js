"use strict";
(() => {
  const root = document.documentElement;
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  // what a script gets wrong bubbles up to the window; what cannot be loaded does not
  window.addEventListener("error", (event) => {
    if (event instanceof ErrorEvent) root.dataset.script = "failed";
  });

  function chooseClip(clip) {
    for (const part of all("[data-clip]")) part.hidden = clip !== "" && part.dataset.clip !== clip;
  }

  function chooseRung(rung) {
    for (const block of all("[data-rungs]")) {
      const last = Number(block.dataset.rungs) - 1;
      const shown = String(Math.min(rung, last));
      for (const part of all("[data-rung]", block)) part.hidden = part.dataset.rung !== shown;
      for (const button of all("button[data-choose]", block)) {
        button.setAttribute("aria-pressed", String(button.dataset.choose === shown));
      }
    }
  }

  function playTogether(block) {
    const players = all("video", block).filter((video) => video.offsetParent !== null);
    const stop = players.some((video) => !video.paused);
    for (const video of players) {
      if (stop) { video.pause(); continue; }
      video.currentTime = 0;
      video.play().catch(() => {});
    }
  }

  const picker = document.getElementById("clip");
  picker.addEventListener("change", () => chooseClip(picker.value));
  for (const button of all("button[data-choose]")) {
    button.addEventListener("click", () => chooseRung(Number(button.dataset.choose)));
  }
  for (const button of all("button[data-play]")) {
    button.addEventListener("click", () => playTogether(button.closest("[data-clip]")));
  }
  for (const part of all(".choice, nav label")) part.hidden = false;
  chooseClip(picker.value);
  chooseRung(Math.max(0, ...all("[data-rungs]").map((block) => Math.floor((block.dataset.rungs - 1) / 2))));

  window.addEventListener("load", () => {
    const images = all("img").filter((image) => image.loading !== "lazy");
    const broken = images.filter((image) => !image.complete || image.naturalWidth === 0);
    root.dataset.images = broken.length ? "broken" : "complete";
    root.dataset.players = all("video").some((video) => video.error) ? "broken" : "complete";
  });
  root.dataset.script ??= "ok";
})();
