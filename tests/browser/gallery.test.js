// The gallery in headless Chromium: what a user does, and that nothing is logged as an error.
//
// GALLERY is the address of a server over the photos of `fixtures/photos`, CHROMIUM the browser,
// PHOTOS the folder of those photos; SHOTS, if given, a folder for a picture of each view.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";

const { GALLERY, CHROMIUM, PHOTOS, SHOTS } = process.env;
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

let browser;
let page;
const problems = [];

async function open(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, bypassCSP: true, ...options });
  const opened = await context.newPage();
  opened.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) problems.push(message.text());
  });
  opened.on("pageerror", (error) => problems.push(String(error)));
  return opened;
}

before(async () => {
  browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });
  page = await open();
});
after(() => browser?.close());

const tiles = (within = "") => page.locator(`${within} .tile > a`);
const go = async (hash) => {
  await page.goto(`${GALLERY}${hash}`);
  await page.waitForLoadState("networkidle");
};
const api = async (path, body) => {
  const headers = { "content-type": "application/json" };
  const answer = await fetch(`${GALLERY}${path}`, body && { method: "POST", headers, body: JSON.stringify(body) });
  assert.ok(answer.ok, `${path}: ${answer.status}`);
  return answer.json();
};

/** Checks a view for faults that keep people out, in both themes, and takes its picture. */
async function examine(name) {
  for (const theme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme: theme });
    await page.waitForTimeout(250);
    await page.evaluate(axe);
    const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
    const faults = found.violations
      .filter(({ impact }) => ["serious", "critical"].includes(impact))
      .map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(({ html }) => html).join(" ")}`);
    assert.deepEqual(faults, [], `${name}, ${theme}`);
    if (SHOTS) await page.screenshot({ path: `${SHOTS}/${name}-${theme}.png` });
  }
  await page.emulateMedia({ colorScheme: "light" });
}

test("all photos are in the grid, and only those near the window in the page", async () => {
  await go("/#/");
  const { images } = await api("/v1/stats");
  await page.getByText(`${images} photos`).waitFor();
  await tiles().first().waitFor();
  const shown = await tiles().count();
  assert.ok(shown > 10 && shown < images, `${shown} of ${images}`);
  await page.evaluate(() => scrollTo(0, document.body.scrollHeight));
  await page.waitForTimeout(400);
  const last = (await api("/v1/images/shapes", { order: "newest" })).ids.at(-1);
  await page.locator(`.tile[data-id="${last}"]`).waitFor();
  await page.evaluate(() => scrollTo(0, 0));
  await page.waitForTimeout(600);
  await examine("photos");
});

test("the arrow keys walk through the grid, and plus searches", async () => {
  await go("/#/");
  await tiles().first().focus();
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowDown");
  const id = await page.evaluate(() => document.activeElement.closest(".tile").dataset.id);
  assert.notEqual(id, await page.locator(".tile").first().getAttribute("data-id"));
  await page.keyboard.press("+");
  await page.waitForURL(`**/#/?like=${id}`);
  await page.locator(".score").first().waitFor();
});

test("a click shows a photo, its facts, its boxes, and photos like it", async () => {
  const { images } = await api("/v1/images?limit=1000");
  const { id } = images.find(({ path }) => path.endsWith("two_dogs.jpg"));
  await go("/#/");
  await go(`/#/photo/${id}`);
  await page.getByRole("heading", { name: "two_dogs.jpg" }).waitFor();
  assert.ok(await page.locator(".box").count() >= 2);
  assert.ok(await tiles().count() >= 10);
  await page.getByRole("link", { name: "dog", exact: true }).first().hover();
  assert.equal(await page.locator(".box.marked").count(), 1);
  await page.keyboard.press("b");
  assert.ok(await page.locator(".boxes").isHidden());
  await page.keyboard.press("b");
  await examine("photo");
  await page.locator(".tile").first().hover();
  await page.getByRole("button", { name: /^Why are they alike/ }).first().click();
  await page.waitForFunction(() => [...document.querySelectorAll(".why img")].length === 2
    && [...document.querySelectorAll(".why img")].every((image) => image.naturalWidth > 0));
  await examine("why");
  await page.keyboard.press("Escape");
  await page.waitForURL("**/#/");
});

test("a region that is drawn is searched for", async () => {
  const { images } = await api("/v1/images?limit=1000");
  const { id } = images.find(({ path }) => path.endsWith("two_dogs.jpg"));
  await go(`/#/photo/${id}`);
  await page.locator(".box").first().waitFor();
  const frame = await page.locator(".frame").boundingBox();
  await page.mouse.move(frame.x + frame.width * 0.2, frame.y + frame.height * 0.2);
  await page.mouse.down();
  await page.mouse.move(frame.x + frame.width * 0.6, frame.y + frame.height * 0.7, { steps: 4 });
  await page.mouse.up();
  await page.getByRole("button", { name: "Search this part" }).click();
  await page.waitForURL(`**region=${id}:*`);
  await page.locator(".score").first().waitFor();
  await examine("region");
});

test("a picture that is dropped finds itself, and one that is chosen too", async () => {
  await go("/#/");
  const bytes = [...readFileSync(`${PHOTOS}/fish/goldfish.webp`)];
  await page.evaluate((content) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([new Uint8Array(content)], "a.webp", { type: "image/webp" }));
    document.body.dispatchEvent(new DragEvent("dragover", { dataTransfer: transfer, bubbles: true, cancelable: true }));
    document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
  }, bytes);
  const first = page.locator(".tile > a").first();
  await page.locator(".score").first().waitFor();
  assert.match(await first.getAttribute("aria-label"), /^goldfish.webp, score 1.00/);
  await examine("upload");
  await page.setInputFiles("#file", `${PHOTOS}/food/coffee.jpg`);
  await page.waitForFunction(() => document.querySelector(".tile > a")?.ariaLabel?.startsWith("coffee.jpg"));
});

test("more like these, less like those", async () => {
  await go("/#/");
  await page.locator(".tile").first().hover();
  await page.getByRole("button", { name: /^More like this/ }).first().click();
  await page.locator(".score").first().waitFor();
  await page.locator(".tile").nth(3).hover();
  await page.getByRole("button", { name: /^Less like this/ }).nth(3).click();
  await page.waitForURL("**unlike=*");
  await page.locator(".example.less").waitFor();
  await page.getByRole("button", { name: "Remove: less like this" }).click();
  await page.waitForFunction(() => !location.hash.includes("unlike"));
  await page.getByRole("button", { name: "Show all photos" }).click();
  await page.waitForURL("**/#/");
});

test("filters are chosen as chips and taken away again", async () => {
  await go("/#/");
  await page.getByRole("button", { name: "Filter" }).click();
  await page.getByLabel("Folder").waitFor();
  await examine("filter");
  await page.getByLabel("Folder").selectOption("flowers");
  await page.waitForURL("**folder=flowers*");
  const { images } = await api("/v1/images/scroll", { filter: { must: [{ key: "folder", match: { value: "flowers" } }] }, limit: 1000 });
  await page.getByText(`${images.length} photos`).waitFor();
  await page.getByRole("button", { name: "Remove Folder: flowers" }).click();
  await page.waitForURL("**/#/");
});

test("clusters are stacks that open", async () => {
  await go("/#/clusters");
  await page.locator(".stack").nth(1).waitFor();
  await page.waitForLoadState("networkidle");
  await examine("clusters");
  await page.locator(".stack button").first().click();
  await tiles().first().waitFor();
  await page.getByRole("button", { name: /All groups/ }).click();
  await page.locator(".stack").first().waitFor();
});

test("a round of labelling by keyboard, with undo", async () => {
  await go("/#/labels");
  await page.locator(".asked img").waitFor();
  const asked = () => page.locator(".asked img").getAttribute("alt");
  for (const name of ["one", "two"]) {
    await page.keyboard.press("n");
    await page.keyboard.type(name);
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: new RegExp(`${name} 1`) }).waitFor();
  }
  await page.getByRole("heading", { name: "What it has learned" }).waitFor();
  const before = await asked();
  await page.keyboard.press("1");
  await page.getByRole("button", { name: /one 2/ }).waitFor();
  assert.notEqual(await asked(), before);
  await page.keyboard.press("u");
  await page.getByRole("button", { name: /one 1/ }).waitFor();
  assert.equal(await asked(), before);
  await page.keyboard.press("s");
  assert.notEqual(await asked(), before);
  await page.waitForLoadState("networkidle");
  await examine("labels");
  const { labels } = await api("/v1/labels");
  assert.deepEqual(labels.map(({ value, images }) => [value, images]), [["one", 1], ["two", 1]]);
});

test("duplicates are reviewed by keyboard: keep, not the same, undo, and only then the trash", async () => {
  await go("/#/duplicates");
  const status = page.locator(".tools .count");
  const trash = page.getByRole("button", { name: /^Move \d+ files? to the trash/ });
  await page.getByText(/^group 1 of \d+$/).waitFor();
  const groups = Number((await status.textContent()).match(/\d+$/)[0]);
  assert.ok(groups >= 5, `${groups} groups`);
  await page.locator(".card img").nth(1).waitFor();
  await page.waitForLoadState("networkidle");
  await examine("duplicates");
  // The first group of two different images: two files of one image are the same in any case.
  while (!await page.getByRole("button", { name: "Not the same" }).count()) await page.keyboard.press("s");
  const shown = await status.textContent();
  const names = () => page.locator(".card .path").allTextContents();
  const before = await names();
  await page.keyboard.press("n");
  await page.getByText("They are not the same from now on.").waitFor();
  assert.notDeepEqual(await names(), before);
  await page.keyboard.press("u");
  await page.getByText(shown, { exact: true }).waitFor();
  assert.deepEqual(await names(), before);
  const found = async () => (await api("/v1/duplicates", { up_to: "edited" })).groups.length;
  assert.equal(await found(), groups, "the decision was taken back");

  assert.ok(await trash.isHidden());
  await page.keyboard.press("2");
  assert.equal(await page.locator(".card.chosen .path").textContent(), before[1]);
  await page.keyboard.press("k");
  await trash.waitFor();
  await page.keyboard.press("u");
  await page.getByText(shown, { exact: true }).waitFor();
  assert.ok(await trash.isHidden());
  await page.keyboard.press("k");
  await trash.click();
  await page.getByRole("dialog").waitFor();
  await examine("trash");
  const { images } = await api("/v1/stats");
  await page.getByRole("button", { name: "Move them" }).click();
  await page.getByText(/moved to the trash\.$/).waitFor();
  await page.getByText(new RegExp(`^group 1 of ${groups - 1}$`)).waitFor();
  assert.equal((await api("/v1/stats")).images, images - 1);
});

test("the map zooms, and a lasso chooses photos to label", async () => {
  await go("/#/map");
  await page.getByText(/photos by t-SNE/).waitFor();
  await page.waitForLoadState("networkidle");
  await examine("map");
  const canvas = page.locator("canvas.map");
  const looks = () => canvas.evaluate((element) => element.toDataURL());
  const whole = await looks();
  await canvas.focus();
  await page.keyboard.press("+");
  await page.waitForTimeout(300);
  assert.notEqual(await looks(), whole);
  await page.getByRole("button", { name: "Whole" }).click();
  await page.getByRole("button", { name: "Lasso" }).click();
  const { x, y, width, height } = await canvas.boundingBox();
  await page.mouse.move(x + 2, y + 2);
  await page.mouse.down();
  for (const [across, down] of [[width / 2, 2], [width / 2, height - 2], [2, height - 2]]) {
    await page.mouse.move(x + across, y + down, { steps: 3 });
  }
  await page.mouse.up();
  const chosen = await page.getByRole("heading", { name: /photos chosen$/ }).textContent();
  const count = Number(chosen.match(/^\d+/)[0]);
  const { ids } = await api("/v1/map");
  assert.ok(count > 1 && count < ids.length, `${count} of ${ids.length}`);
  await examine("lasso");
  await page.getByLabel("Label them").fill("left");
  await page.getByRole("button", { name: "Give" }).click();
  await page.getByText(`${count} photos labelled left.`).waitFor();
  const { labels } = await api("/v1/labels");
  assert.equal(labels.find(({ value }) => value === "left").images, count);
});

test("the theme can be chosen and is kept", async () => {
  await go("/#/");
  const back = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const auto = await back();
  await page.locator("#theme").click();
  await page.locator("#theme").click();
  assert.notEqual(await back(), auto);
  await page.reload();
  assert.notEqual(await back(), auto);
  await page.locator("#theme").click();
});

test("small screens show everything without scrolling sideways", async () => {
  const wide = page;
  page = await open({ viewport: { width: 390, height: 780 }, hasTouch: true, isMobile: true });
  for (const hash of ["/#/", "/#/photo/1", "/#/clusters", "/#/duplicates", "/#/map", "/#/labels"]) {
    await go(hash);
    await page.waitForTimeout(300);
    const over = await page.evaluate(() => Math.max(document.documentElement.scrollWidth,
      ...[...document.querySelectorAll("header *")].map((element) => element.getBoundingClientRect().right)) - screen.width);
    assert.ok(over <= 1, `${hash}: ${over} px too wide`);
    if (SHOTS) await page.screenshot({ path: `${SHOTS}/small-${hash.replace(/\W+/g, "-")}.png` });
  }
  await page.context().close();
  page = wide;
});

test("the description of the API is a page", async () => {
  await go("/docs");
  await page.getByText("/v1/search", { exact: true }).waitFor();
  await examine("docs");
});

test("nothing was logged as an error, under the policy that users have", async () => {
  const strict = await open({ bypassCSP: false });
  for (const hash of ["/#/", "/#/photo/1", "/#/clusters", "/#/duplicates", "/#/map", "/#/labels", "/docs"]) {
    await strict.goto(`${GALLERY}${hash}`);
    await strict.waitForLoadState("networkidle");
    await strict.reload();
    await strict.waitForLoadState("networkidle");
  }
  assert.deepEqual(problems, []);
});
