// Turns the form of the page /sparql into an editor: YASGUI with this host's endpoint, prefixes and terms alone.
"use strict";

(() => {
  const place = document.getElementById("editor");
  const form = document.getElementById("query-form");
  const text = document.getElementById("query");
  if (!place || !window.Yasgui) return;

  const Yasgui = window.Yasgui.default ?? window.Yasgui;
  const words = JSON.parse(place.dataset.words);
  const language = document.documentElement.lang;
  const endpoint = new URL(place.dataset.endpoint, location.href).href;
  const say = (word) => words[word] ?? word;

  // ---- completion: what Yasqe would ask of other hosts, answered by this one

  const loaded = fetch(place.dataset.terms).then((answer) => answer.json());
  let prefixes = {};
  loaded.then((terms) => { prefixes = terms.prefixes; });

  const shortened = (iri) => {
    const [name, space] = Object.entries(prefixes).find(([, start]) => iri.startsWith(start)) ?? [];
    const local = name && iri.slice(space.length);
    return local && /^[A-Za-z][\w-]*$/.test(local) ? `${name}:${local}` : `<${iri}>`;
  };

  function complete(name, kind) {
    let labels = {};
    const { preProcessToken } = Yasgui.Yasqe.Autocompleters[name];
    Yasgui.Yasqe.forkAutocompleter(name, {
      name,
      bulk: true,
      get: () => loaded.then((terms) => { labels = terms[kind]; return Object.keys(labels); }),
      preProcessToken: (editor, token) => {
        const isBlank = token.string.trim() === ""; // and stays: the term is put after it
        const { line, ch } = editor.getDoc().getCursor();
        return preProcessToken(editor, isBlank ? { ...token, from: { line, ch }, to: { line, ch } } : token);
      },
      postProcessSuggestion: (_editor, _token, iri) => shortened(iri),
      postprocessHints: (_editor, hints) => hints.map((hint) => {
        const iri = Object.keys(labels).find((term) => shortened(term) === hint.text);
        const label = iri && labels[iri][language];
        return label ? { ...hint, displayText: `${hint.text} – ${label}` } : hint;
      }).sort((one, other) => other.text.startsWith("hpez:") - one.text.startsWith("hpez:")),
    });
  }

  complete("class", "classes");
  complete("property", "properties");
  Yasgui.Yasqe.forkAutocompleter("prefixes", {
    name: "prefixes",
    persistenceId: null,
    get: () => loaded.then((terms) => Object.entries(terms.prefixes).map(([name, iri]) => `${name}: <${iri}>`)),
  });

  // ---- a chart of results that have one column of names and one of numbers

  class Chart {
    constructor(yasr) { this.yasr = yasr; this.label = "Chart"; this.priority = 1; }

    columns() {
      const rows = this.yasr.results?.getBindings() ?? [];
      const isNumber = (cell) => cell && cell.type === "literal" && cell.datatype && Number.isFinite(Number(cell.value));
      const names = this.yasr.results?.getVariables() ?? [];
      const numbers = names.filter((name) => rows.length && rows.every((row) => isNumber(row[name])));
      const labels = names.filter((name) => rows.some((row) => row[name]?.type === "literal" && !isNumber(row[name])));
      return { rows, label: labels[0], number: numbers[0] };
    }

    canHandleResults() {
      const { rows, label, number } = this.columns();
      const isSmall = rows.length > 0 && rows.length <= 60;
      return isSmall && !!label && !!number && rows.every((row) => Number(row[number].value) >= 0);
    }

    draw() {
      const { rows, label, number } = this.columns();
      const most = Math.max(...rows.map((row) => Number(row[number].value))) || 1;
      const table = document.createElement("table");
      table.className = "bars";
      table.createCaption().textContent = `${label} – ${number}`;
      for (const row of rows) this.bar(table, row[label]?.value ?? "", Number(row[number].value), most);
      this.yasr.resultsEl.append(table);
    }

    bar(table, name, value, most) {
      const line = table.insertRow();
      const head = document.createElement("th");
      head.scope = "row";
      head.textContent = name;
      const picture = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      picture.setAttribute("aria-hidden", "true");
      const shape = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      shape.setAttribute("width", `${(100 * value) / most}%`);
      shape.setAttribute("height", "100%");
      picture.append(shape);
      line.append(head);
      line.insertCell().append(picture);
      const shown = line.insertCell();
      shown.className = "number";
      shown.textContent = value.toLocaleString(language);
    }
  }
  Yasgui.Yasr.registerPlugin("chart", Chart);

  // ---- problems in the service's words

  Yasgui.Yasr.defaults.errorRenderers = [async (error) => {
    let problem;
    try { problem = JSON.parse(error.text); } catch { return undefined; }
    if (!problem?.title) return undefined;
    const told = document.createElement("div");
    for (const line of [problem.title, problem.detail]) told.append(Object.assign(document.createElement("p"), { textContent: line ?? "" }));
    return told;
  }];

  // ---- what YASGUI's markup lacks for those who do not see it, and its words in the page's language

  const NAMES = [
    [".CodeMirror textarea", "Query text"],
    [".tab input", "Name of the tab"],
    [".yasqe_sharePopup input", "Link to this query"],
    [".tableSizer", "Rows per page"],
    [".tabsList", "Queries"],
  ];

  function name(root) {
    for (const [selector, label] of NAMES) {
      for (const node of root.querySelectorAll(selector)) set(node, "aria-label", say(label));
    }
    for (const node of root.querySelectorAll(".yasr_results")) {
      describe(node, "region", "Results");
      set(node, "tabindex", "0"); // so that the keyboard scrolls what is wide
    }
    for (const node of root.querySelectorAll(".tabsList")) listTabs(node);
    for (const head of root.querySelectorAll("table.dataTable th:empty, table.dataTable th:first-child .dt-column-title:empty")) {
      head.textContent = say("Number");
    }
  }

  // A list of tabs may hold tabs alone; YASGUI puts the button that adds one, and a menu, among them.
  function listTabs(list) {
    set(list, "role", "group");
    for (const tab of list.querySelectorAll(":scope > .tab")) set(tab, "role", "tablist");
  }

  function describe(node, role, label) {
    set(node, "role", role);
    set(node, "aria-label", say(label));
  }

  function set(node, attribute, value) {
    if (node.getAttribute(attribute) !== value) node.setAttribute(attribute, value);
  }

  function translate(root) {
    for (const node of root.querySelectorAll("[title], [aria-label], [placeholder]")) {
      for (const attribute of ["title", "aria-label", "placeholder"]) {
        const word = words[node.getAttribute(attribute)];
        if (word) set(node, attribute, word);
      }
    }
    const chrome = ".notification, .yasr_header span, .yasr_header option, .context-menu *, .yasr_results td.dt-empty";
    for (const node of root.querySelectorAll(chrome)) {
      const word = node.children.length === 0 && words[node.textContent];
      if (word && word !== node.textContent) node.textContent = word;
    }
    for (const node of root.querySelectorAll(".yasr_response_chip")) count(node);
  }

  function count(node) {
    set(node, "role", "status");
    const told = /^(?:([0-9]+) results?|Response) in ([0-9.]+) seconds?$/.exec(node.textContent);
    const form = told?.[1] ? "{rows} results in {seconds} seconds" : "Response in {seconds} seconds";
    const said = told && say(form).replace("{rows}", told[1]).replace("{seconds}", told[2]);
    if (said && said !== node.textContent) node.textContent = said;
  }

  // Links to what this graph describes lead to its pages here.
  function home(root) {
    for (const link of root.querySelectorAll(`a[href^="${CSS.escape(place.dataset.base)}"]`)) {
      link.href = new URL(link.getAttribute("href").slice(place.dataset.base.length), new URL(".", endpoint)).href;
    }
  }

  const mend = () => { name(place); translate(place); home(place); };
  new MutationObserver(mend).observe(place, { childList: true, subtree: true, characterData: true });

  // The table would add a style element to the page, which the content policy forbids, for handles that are hidden here;
  // it leaves that out if there is an element of this name and mark.
  const styled = document.createElementNS("urn:x-hpkg", "style");
  styled.gripid = "573462389";
  document.head.append(styled);

  // ---- the editor

  Yasgui.Yasr.defaults.plugins.table.dynamicConfig = { compact: true, isEllipsed: false };
  const config = {
    autofocus: false,
    autoAddOnInit: false,
    tabName: say("Query"),
    copyEndpointOnNewTab: false,
    endpointCatalogueOptions: { getData: () => [], keys: [], renderItem: () => {} },
    requestConfig: { endpoint: () => endpoint, method: "POST" },
    yasqe: {
      value: text.value,
      prefixCcApi: null,
      editorHeight: "auto", // no region that scrolls within the page
      viewportMargin: Infinity,
      resizeable: false,
      extraKeys: { Tab: false, "Shift-Tab": false }, // Tab goes on, as everywhere on the page
    },
    yasr: { pluginOrder: ["table", "chart", "response"], prefixes: () => prefixes },
  };

  function open(yasgui, title, query) {
    const isSame = (tab) => tab.getName() === title && tab.getPersistedJson().yasqe.value === query;
    const tab = Object.values(yasgui._tabs).find(isSame) ?? yasgui.addTab(true, { name: yasgui.createTabName(title), yasqe: { value: query } });
    yasgui.selectTabId(tab.getId());
    tab.query().catch(() => {});
  }

  place.before(document.getElementById("editor-keys"));
  const yasgui = new Yasgui(place, config);
  const isAsked = place.dataset.run === "yes";
  if (!yasgui.getTab()) yasgui.addTab(true, { name: isAsked ? place.dataset.title : say("Query"), yasqe: { value: text.value } });
  form.hidden = true;
  document.getElementById("editor-keys").hidden = false;
  mend();
  if (isAsked) open(yasgui, place.dataset.title, text.value);
  for (const link of document.querySelectorAll("a.example")) {
    link.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
      event.preventDefault();
      open(yasgui, link.textContent.trim(), new URL(link.href).searchParams.get("query"));
      place.scrollIntoView();
    });
  }
})();
