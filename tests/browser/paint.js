// How long the gallery takes to be seen: GALLERY and CHROMIUM as for the tests.

import { chromium } from "playwright-core";

const { GALLERY, CHROMIUM } = process.env;
const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });
const rounds = [];
for (let round = 0; round < 5; round++) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  const page = await context.newPage();
  await page.goto(`${GALLERY}/#/`);
  const seen = await page.evaluate(async () => {
    const inWindow = () => [...document.querySelectorAll(".tile img")].filter((image) => image.getBoundingClientRect().top < innerHeight);
    for (;;) {
      const images = inWindow();
      if (images.length > 8 && images.every((image) => image.complete)) break;
      await new Promise(requestAnimationFrame);
    }
    const first = performance.getEntriesByName("first-contentful-paint")[0].startTime;
    return { first, photos: performance.now() };
  });
  // Ten screens down, each as soon as the one before has been drawn.
  const begin = Date.now();
  let longest = 0;
  for (let screen = 1; screen <= 10; screen++) {
    const took = await page.evaluate(async (to) => {
      const start = performance.now();
      scrollTo(0, to * innerHeight);
      await new Promise(requestAnimationFrame);
      await new Promise(requestAnimationFrame);
      return performance.now() - start;
    }, screen);
    longest = Math.max(longest, took);
  }
  rounds.push({ ...seen, longest, scrolled: Date.now() - begin });
  await context.close();
}
await browser.close();
for (const { first, photos, longest } of rounds) {
  console.log(`first paint ${first.toFixed(0)} ms, photos of the window ${photos.toFixed(0)} ms, longest frame of ten screens ${longest.toFixed(0)} ms`);
}
