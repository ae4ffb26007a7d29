"""Documents on Arrow buffers → values, in compiled loops without trees or objects: the quick way to parse and discover.

tables      the words that the loops share        machine   memory and vector instructions
growing     one thread's tables                   scanning  what stands between tags
naming      names → fields                        judging   … that the loops cannot judge
walking     documents → tape                      roots, attributes, taping: its parts
texts       what is written → what it stands for  values    bytes → numbers, dates
filling     tape → columns                        arena     columns → Arrow, in one block of memory
noted       what has no place, or is no value of its type → errors and what is rescued
plan        schema → tables                       shredder  stretches of rows, in threads
voting      texts → votes                         learning  tape → what was seen of every field
learner     stretches of rows → structure

Whatever is not plain is left to the reference (document.py, building.py), document by document.
"""
