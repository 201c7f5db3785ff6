set edit:completion:arg-completer[tokenkeep] = { |@words|
    var index = (count $words)
    set index = (- $index 1)

    put (env _CLAP_IFS="\n" _CLAP_COMPLETE_INDEX=(to-string $index) COMPLETE="elvish" tokenkeep -- $@words) | to-lines
}
