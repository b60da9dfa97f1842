# Compares every import under Sources/ with the dependencies that Package.swift declares for its module.
#
#   awk -f Scripts/check-arrows.awk Package.swift Sources/*/*.swift ...
#
# Package.swift comes first. A module may import what its target lists by name, what its listed package products
# provide, and the platform. A dependency must stand further down in Package.swift than the target that names it, so
# the file itself reads from top to bottom and a cycle cannot be written. Exits 1 with a line for each offence.

BEGIN {
    split("Swift Foundation FoundationEssentials Glibc Dispatch Synchronization Testing", names, " ")
    for (i in names) platform[names[i]] = 1
}

# Package.swift: gather it whole, then cut it at the target declarations.
FNR == NR {
    line = $0
    sub(/^[ \t]*\/\/.*/, "", line)
    manifest = manifest " " line
    next
}

FNR == 1 {
    if (!parsed) parse_manifest()
    n = split(FILENAME, parts, "/")
    module = ""
    for (i = 1; i < n; i++) if (parts[i] == "Sources" || parts[i] == "Tests") module = parts[i + 1]
    if (!(module in position)) {
        report(FILENAME ": Package.swift declares no target named " module)
        module = ""
    }
}

module != "" && /^[ \t]*(@[A-Za-z_]+(\([a-z]*\))?[ \t]+)*((package|public|internal|private|fileprivate)[ \t]+)?import[ \t]+/ {
    name = $0
    if (name ~ /@testable/) report(FILENAME ":" FNR ": no @testable; package access reaches across modules")
    sub(/.*import[ \t]+/, "", name)
    sub(/^(struct|class|enum|protocol|typealias|func|let|var)[ \t]+/, "", name)
    sub(/[ \t.;].*/, "", name)
    if (!(name in platform) && !((module, name) in arrow) && name != module)
        report(FILENAME ":" FNR ": " module " imports " name ", which its target does not declare")
}

END {
    if (!parsed) parse_manifest()
    exit failed
}

function report(text) {
    print "arrows: " text
    failed = 1
}

function parse_manifest(    count, chunks, i, chunk, name, list, dependencies, m, j, rest) {
    parsed = 1
    rest = manifest
    # Products stand for the module of the same name: `let crypto = ...product(name: "Crypto", ...)`.
    while (match(rest, /let [A-Za-z]+ = Target\.Dependency\.product\(name: "[A-Za-z]+"/)) {
        chunk = substr(rest, RSTART, RLENGTH)
        rest = substr(rest, RSTART + RLENGTH)
        name = chunk
        sub(/^let /, "", name)
        sub(/ = .*/, "", name)
        sub(/.*name: "/, "", chunk)
        sub(/"$/, "", chunk)
        product[name] = chunk
    }
    count = split(manifest, chunks, /\.(executableTarget|testTarget|target|systemLibrary)\([ \t]*name: "/)
    for (i = 2; i <= count; i++) {
        name = chunks[i]
        sub(/".*/, "", name)
        position[name] = i
        order[i] = name
        list = ""
        if (match(chunks[i], /dependencies: \[[^]]*\]/)) list = substr(chunks[i], RSTART + 15, RLENGTH - 16)
        declared[name] = list
    }
    for (i = 2; i <= count; i++) {
        name = order[i]
        m = split(declared[name], dependencies, ",")
        for (j = 1; j <= m; j++) {
            gsub(/[ \t\[\]]/, "", dependencies[j])
            if (dependencies[j] == "") continue
            if (dependencies[j] ~ /^"/) {
                gsub(/"/, "", dependencies[j])
                if (!(dependencies[j] in position))
                    report("Package.swift: " name " depends on " dependencies[j] ", which is not declared")
                else if (name !~ /Tests$/ && position[dependencies[j]] < i)
                    report("Package.swift: " name " points up at " dependencies[j])
                arrow[name, dependencies[j]] = 1
            } else if (dependencies[j] in product) {
                arrow[name, product[dependencies[j]]] = 1
            } else {
                report("Package.swift: " name " depends on the unknown product " dependencies[j])
            }
        }
    }
}
