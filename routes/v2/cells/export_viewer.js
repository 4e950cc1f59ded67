"use strict";
// Shows the cells of an exported task. Works from disk and requests only the images.
(() => {
  const head = JSON.parse(document.getElementById("head").textContent);
  const rows = [...document.querySelectorAll("script.rows")].flatMap((part) =>
    JSON.parse(part.textContent).map((list) => {
      const row = Object.fromEntries(head.columns.map((name, i) => [name, list[i]]));
      row.words = [
        ...row.prompts,
        row.error ?? "",
        ...row.tags,
        ...[row, ...row.earlier_images].flatMap((image) => [
          ...image.evaluations,
          ...image.evaluation_tags.flat(),
          ...image.evaluation_authors,
          ...image.raters,
          ...image.skip_reasons,
        ]),
      ].join("\n").toLowerCase();
      return row;
    })
  );
  const { axes } = head;
  const key = (places) => places.join(" ");
  const byPlace = new Map(rows.map((row) => [key(row.indices), row]));
  const none = -1;
  const longest = axes.map((_, i) => i).sort((a, b) =>
    axes[b].values.length - axes[a].values.length || b - a
  );
  const view = {
    wall: axes.length === 0,
    x: longest[1] === undefined ? none : longest[0],
    y: longest[1] ?? longest[0] ?? none,
    at: axes.map(() => 0),
    least: 0,
    status: "",
    words: "",
    size: 128,
    focus: 0,
  };

  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (name in element) element[name] = value;
      else element.setAttribute(name, value);
    }
    element.append(...children.filter((child) => child !== null));
    return element;
  }

  const lengthOf = (axis) => axis === none ? 1 : axes[axis].values.length;
  const fits = (row) =>
    (view.least === 0 || (row.mean ?? 0) >= view.least) &&
    (view.status === "" || row.status === view.status) &&
    (view.words === "" || row.words.includes(view.words));

  /** Computes the current grid: its size and the cell at each position. */
  function lay() {
    const room = Math.max(1, Math.floor((scroll.clientWidth - 16) / (view.size + gap)));
    if (view.wall) {
      const shown = rows.filter(fits);
      shown.sort((a, b) => (b.mean ?? 0) - (a.mean ?? 0) || a.cell - b.cell);
      return {
        nx: Math.min(room, shown.length),
        ny: Math.ceil(shown.length / room),
        count: shown.length,
        wide: 0,
        high: 0,
        at: (x, y) => shown[y * room + x],
      };
    }
    const at = (x, y) => {
      const places = view.at.slice();
      if (view.x !== none) places[view.x] = x;
      if (view.y !== none) places[view.y] = y;
      return byPlace.get(key(places));
    };
    return {
      nx: lengthOf(view.x),
      ny: lengthOf(view.y),
      count: rows.filter(fits).length,
      wide: view.y === none ? 0 : 140,
      high: view.x === none ? 0 : 56,
      at,
    };
  }

  const gap = 6;
  let laid;
  const cells = new Map();
  const space = make("div", { id: "space" });
  const top = make("div", { id: "top" });
  const side = make("div", { id: "side" });
  const scroll = make("main", { id: "scroll", onscroll: () => requestAnimationFrame(draw) }, space);
  const count = make("output", { id: "count" });

  const place = (element, left, up, wide, high) =>
    Object.assign(element.style, {
      left: `${left}px`,
      top: `${up}px`,
      width: `${wide}px`,
      height: `${high}px`,
    });

  const isImage = (url) => typeof url === "string" && /^https?:\/\//i.test(url);
  const starText = (row) => row.mean === null ? "" : `★ ${row.mean.toFixed(1)}`;

  function look(row) {
    const inside = isImage(row.image)
      ? make("img", {
        src: row.image,
        alt: `cell ${row.cell}`,
        loading: "lazy",
        decoding: "async",
        referrerPolicy: "no-referrer",
        onerror: (event) => event.target.replaceWith(make("span", { className: "mark" }, "image gone")),
      })
      : make("span", { className: "mark" }, row.status === "failed" ? "✕ failed" : row.status);
    return [inside, row.mean === null ? null : make("span", { className: "stars" }, starText(row))];
  }

  function makeCell(row, index) {
    const cell = make("button", {
      type: "button",
      className: `cell ${row?.status ?? "empty"}`,
      tabIndex: -1,
      onclick: () => row && open(index),
    });
    if (row) {
      cell.title = describe(row);
      cell.append(...look(row).filter((part) => part !== null));
      if (!fits(row)) cell.classList.add("dim");
    } else cell.disabled = true;
    if (index === view.focus) cell.classList.add("focus");
    return cell;
  }

  const valueOf = (row, axis) => row.indices[axis] === null ? "?" : axes[axis].values[row.indices[axis]];
  const describe = (row) =>
    axes.map(({ name }, i) => `${name}: ${valueOf(row, i)}`).join("\n") || `cell ${row.cell}`;

  function drawLabels(from, to, axis, layer, isTop) {
    const step = view.size + gap;
    layer.replaceChildren();
    if (isTop && view.y !== none) {
      layer.append(make("b", { className: "axis down" }, `↓ ${axes[view.y].name}`));
    }
    if (view.wall || axis === none) return;
    if (isTop) layer.append(make("b", { className: "axis" }, `→ ${axes[axis].name}`));
    for (let i = from; i < to; i++) {
      const label = make(
        "span",
        { className: "label", title: axes[axis].values[i] },
        axes[axis].values[i] || "–",
      );
      if (isTop) place(label, laid.wide + i * step, 18, view.size, laid.high - 20);
      else place(label, 4, laid.high + i * step, laid.wide - 10, view.size);
      layer.append(label);
    }
  }

  function draw() {
    const step = view.size + gap;
    const { scrollLeft, scrollTop, clientWidth, clientHeight } = scroll;
    const bound = (at, most) => Math.min(most, Math.max(0, at));
    const x0 = bound(Math.floor((scrollLeft - laid.wide) / step) - 1, laid.nx);
    const x1 = bound(Math.ceil((scrollLeft + clientWidth) / step) + 1, laid.nx);
    const y0 = bound(Math.floor((scrollTop - laid.high) / step) - 1, laid.ny);
    const y1 = bound(Math.ceil((scrollTop + clientHeight) / step) + 1, laid.ny);
    const wanted = new Set();
    for (let y = y0; y < y1; y++) {
      for (let x = x0; x < x1; x++) {
        const index = y * laid.nx + x;
        wanted.add(index);
        if (cells.has(index) || view.wall && !laid.at(x, y)) continue;
        const cell = makeCell(laid.at(x, y), index);
        place(cell, laid.wide + x * step, laid.high + y * step, view.size, view.size);
        cells.set(index, cell);
        space.append(cell);
      }
    }
    for (const [index, cell] of cells) {
      if (wanted.has(index)) continue;
      cell.remove();
      cells.delete(index);
    }
    drawLabels(x0, x1, view.x, top, true);
    drawLabels(y0, y1, view.y, side, false);
    top.style.transform = `translateY(${scrollTop}px)`;
    side.style.transform = `translateX(${scrollLeft}px)`;
  }

  function renew() {
    laid = lay();
    cells.clear();
    const step = view.size + gap;
    space.replaceChildren(top, side);
    place(space, 0, 0, laid.wide + laid.nx * step, laid.high + laid.ny * step);
    place(top, 0, 0, laid.wide + laid.nx * step, laid.high);
    place(side, 0, 0, laid.wide, laid.high + laid.ny * step);
    top.hidden = laid.high === 0 || view.wall;
    side.hidden = laid.wide === 0 || view.wall;
    const noun = rows.length === 1 ? "cell" : "cells";
    count.textContent = `${laid.count.toLocaleString()} of ${rows.length.toLocaleString()} ${noun}`;
    view.focus = Math.min(view.focus, Math.max(0, laid.nx * laid.ny - 1));
    for (const [name, control] of Object.entries(controls)) control.value = String(view[name]);
    wallButton.textContent = view.wall ? "Grid" : "Wall";
    others.replaceChildren(
      ...(view.wall ? [] : axes.map((axis, i) => i === view.x || i === view.y ? "" : pick(axis, i))),
    );
    draw();
  }

  function set(changes) {
    Object.assign(view, changes);
    renew();
  }

  const option = (value, text) => make("option", { value: String(value) }, text);
  const short = (text) => text.length > 40 ? `${text.slice(0, 40)}…` : text || "–";

  function pick(axis, i) {
    const select = make("select", {
      onchange: (event) => set({ at: view.at.with(i, Number(event.target.value)) }),
    }, ...axis.values.map((value, place) => option(place, short(value))));
    select.value = String(view.at[i]);
    return make("label", {}, `${axis.name} `, select);
  }

  const axisOptions = () => [option(none, "–"), ...axes.map(({ name }, i) => option(i, name))];
  function turn(which, other, to) {
    set({ [which]: to, ...(to !== none && to === view[other] ? { [other]: view[which] } : {}) });
  }
  const controls = {
    x: make("select", { onchange: (event) => turn("x", "y", Number(event.target.value)) }, ...axisOptions()),
    y: make("select", { onchange: (event) => turn("y", "x", Number(event.target.value)) }, ...axisOptions()),
    least: make(
      "select",
      { onchange: (event) => set({ least: Number(event.target.value) }) },
      option(0, "any"),
      ...[1, 2, 3, 4, 5].map((star) => option(star, `★ ≥ ${star}`)),
    ),
    status: make(
      "select",
      { onchange: (event) => set({ status: event.target.value }) },
      option("", "any"),
      ...[...new Set(rows.map(({ status }) => status))].sort().map((status) => option(status, status)),
    ),
    words: make("input", {
      type: "search",
      placeholder: "Search words",
      oninput: (event) => set({ words: event.target.value.toLowerCase() }),
    }),
    size: make("input", {
      type: "range",
      min: "32",
      max: "320",
      step: "16",
      oninput: (event) => set({ size: Number(event.target.value) }),
    }),
  };
  const others = make("span", { id: "others" });
  const wallButton = make("button", { type: "button", onclick: () => set({ wall: !view.wall, focus: 0 }) });
  const facts = make("div", { id: "facts" });
  const picture = make("div", { id: "picture" });
  const dialog = make(
    "dialog",
    { id: "one", onclick: (event) => event.target === dialog && dialog.close() },
    picture,
    facts,
  );
  const help = make("dialog", { id: "help", onclick: () => help.close() });
  help.append(
    make("h2", {}, "Keys"),
    make(
      "dl",
      {},
      ...[
        ["← ↑ ↓ →", "move"],
        ["Enter", "open, Esc closes"],
        ["1 – 5", "only from so many stars on; 0 all"],
        ["w", "wall of all cells, best first; or grid"],
        ["s", "swap the axes"],
        ["+ −", "size"],
        ["/", "search"],
      ].flatMap(([keys, what]) => [make("dt", {}, keys), make("dd", {}, what)]),
    ),
  );

  const rowAt = (index) => laid.at(index % laid.nx, Math.floor(index / laid.nx));

  function bars(row) {
    if (!row.distribution) return null;
    const most = Math.max(...row.distribution, 1);
    const list = make("div", { className: "bars" });
    row.distribution.forEach((many, i) => {
      const bar = make("i", {});
      bar.style.width = `${Math.round(many * 100 / most)}%`;
      list.append(make("span", {}, `${i + 1}★`), make("div", {}, bar), make("span", {}, String(many)));
    });
    return list;
  }

  /** Tags in frames of their own, each with its author if known. */
  const tagList = (tags, authors = []) =>
    tags.length === 0 ? null : make(
      "p",
      { className: "tags" },
      ...tags.map((tag, i) => make("span", { title: authors[i] ?? "" }, tag)),
    );
  const voteTexts = { better: "better than", worse: "worse than", tie: "equal to", skip: "undecided beside" };

  /** What people said about one image: ratings, votes and evaluations. */
  function said({ raters, ratings, skip_reasons: reasons, votes, ...image }) {
    const lines = [
      ...raters.map((
        rater,
        i,
      ) => [rater, ratings[i] === null ? `skipped: ${reasons[i]}` : `★ ${ratings[i]}`]),
      ...votes.map(({ rater, outcome, other_cell: other }) => [rater, `${voteTexts[outcome]} cell ${other}`]),
    ];
    return [
      make("dl", {}, ...lines.flatMap(([who, what]) => [make("dt", {}, who), make("dd", {}, what)])),
      ...image.evaluations.map((text, i) =>
        make(
          "blockquote",
          {},
          text,
          tagList(image.evaluation_tags[i]),
          image.evaluation_authors[i] === null ? null : make("footer", {}, image.evaluation_authors[i]),
        )
      ),
    ];
  }

  function open(index) {
    const row = rowAt(index);
    if (!row) return;
    focusOn(index);
    picture.replaceChildren(...look(row).filter((part) => part !== null && part.className !== "stars"));
    const told = [
      ...axes.map(({ name }, i) => [name, valueOf(row, i)]),
      ["seed", row.seed],
      ["ratio", row.ratio],
      ["prompts", row.prompts.join(", ")],
      ["error", row.error],
      [
        "rating",
        row.mean === null
          ? (head.blind && row.n === null ? "hidden until you rate it" : null)
          : `${row.mean.toFixed(2)} of ${row.n}`,
      ],
      ["favourite", row.favourite ? "yours" : null],
    ].filter(([, value]) => value !== null && value !== "");
    facts.replaceChildren(
      make("h2", {}, `Cell ${row.cell} · ${row.status}`),
      make(
        "dl",
        {},
        ...told.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, String(value))]),
      ),
      tagList(row.tags, row.tag_authors) ?? "",
      bars(row) ?? "",
      ...said(row),
      ...row.earlier_images.flatMap((
        image,
      ) => [make("h3", {}, `Image ${image.version}, earlier`), ...said(image)]),
      isImage(row.image)
        ? make("a", { href: row.image, target: "_blank", rel: "noopener noreferrer" }, "Open the image")
        : "",
    );
    if (!dialog.open) dialog.showModal();
  }

  function focusOn(index) {
    cells.get(view.focus)?.classList.remove("focus");
    view.focus = index;
    const step = view.size + gap;
    const [x, y] = [index % laid.nx, Math.floor(index / laid.nx)];
    const [left, up] = [laid.wide + x * step, laid.high + y * step];
    if (left - laid.wide < scroll.scrollLeft) scroll.scrollLeft = left - laid.wide;
    if (left + step > scroll.scrollLeft + scroll.clientWidth) {
      scroll.scrollLeft = left + step - scroll.clientWidth;
    }
    if (up - laid.high < scroll.scrollTop) scroll.scrollTop = up - laid.high;
    if (up + step > scroll.scrollTop + scroll.clientHeight) {
      scroll.scrollTop = up + step - scroll.clientHeight;
    }
    draw();
    cells.get(index)?.classList.add("focus");
  }

  function move(dx, dy) {
    const x = view.focus % laid.nx + dx;
    const y = Math.floor(view.focus / laid.nx) + dy;
    if (x < 0 || y < 0 || x >= laid.nx || y >= laid.ny || !rowAt(y * laid.nx + x)) return;
    if (dialog.open) open(y * laid.nx + x);
    else focusOn(y * laid.nx + x);
  }

  const resize = (by) => set({ size: Math.min(320, Math.max(32, view.size + by)) });
  const keys = {
    ArrowLeft: () => move(-1, 0),
    ArrowRight: () => move(1, 0),
    ArrowUp: () => move(0, -1),
    ArrowDown: () => move(0, 1),
    Enter: () => open(view.focus),
    "+": () => resize(16),
    "-": () => resize(-16),
    w: () => set({ wall: !view.wall, focus: 0 }),
    s: () => set({ x: view.y, y: view.x, focus: 0 }),
    "/": () => controls.words.focus(),
    "?": () => help.showModal(),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT)$/.test(event.target.tagName)) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (/^[0-5]$/.test(event.key)) set({ least: Number(event.key) });
    else if (Object.hasOwn(keys, event.key)) keys[event.key]();
    else return;
    event.preventDefault();
  });

  const field = (text, control) => make("label", {}, `${text} `, control);
  document.body.append(
    make(
      "header",
      {},
      make("h1", {}, head.title || "Contact sheet"),
      make(
        "nav",
        {},
        field("Across", controls.x),
        field("Down", controls.y),
        others,
        field("Rating", controls.least),
        field("Status", controls.status),
        controls.words,
        field("Size", controls.size),
        wallButton,
        make("button", { type: "button", title: "Keys", onclick: () => help.showModal() }, "?"),
        count,
      ),
      head.blind ? make("p", {}, "Others' ratings are left out of images that you had not rated.") : null,
      make("p", { className: "when" }, `Exported ${new Date(head.exported_at).toLocaleString()}`),
    ),
    scroll,
    dialog,
    help,
  );
  new ResizeObserver(() => requestAnimationFrame(renew)).observe(scroll);
})();
