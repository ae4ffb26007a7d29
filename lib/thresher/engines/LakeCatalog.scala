package thresher

import java.io.File
import java.util

import org.apache.hadoop.fs.Path
import org.apache.spark.sql.SparkSession
import org.apache.spark.sql.catalyst.analysis.NoSuchTableException
import org.apache.spark.sql.connector.catalog._
import org.apache.spark.sql.connector.expressions.Transform
import org.apache.spark.sql.util.CaseInsensitiveStringMap

/** The Delta tables below a lake's folder as `zone.name`.
  *
  * Spark's own catalog is one for all sessions of a server, so two lakes would mix in it. This one is set per session
  * (`spark.sql.catalog.lake`, `spark.sql.catalog.lake.path`), keeps nothing and so is never stale: Delta's catalog
  * does the work, on the dataset's path.
  */
class LakeCatalog extends StagingTableCatalog with SupportsNamespaces {
  private type Properties = util.Map[String, String]
  private var catalog: String = _
  private var lake: File = _

  override def initialize(name: String, options: CaseInsensitiveStringMap): Unit = {
    catalog = name
    lake = new File(options.get("path"))
  }
  override def name(): String = catalog

  private def delta: StagingTableCatalog =
    SparkSession.active.sessionState.catalogManager.catalog("spark_catalog").asInstanceOf[StagingTableCatalog]
  private def isPath(table: Identifier): Boolean =
    table.namespace.sameElements(Array("delta")) && new Path(table.name).isAbsolute
  private def folder(dataset: Identifier): File = new File(dataset.namespace.foldLeft(lake)(new File(_, _)), dataset.name)
  private def at(table: Identifier): Identifier =
    if (isPath(table)) table else Identifier.of(Array("delta"), folder(table).toString)
  private def existing(table: Identifier): Identifier =
    if (tableExists(table)) at(table) else throw new NoSuchTableException(table)
  private def folders(parent: File): Array[String] =
    Option(parent.listFiles).toArray.flatten.filter(_.isDirectory).map(_.getName).filterNot(_.startsWith("_")).sorted

  override def listTables(zone: Array[String]): Array[Identifier] =
    folders(zone.foldLeft(lake)(new File(_, _))).map(Identifier.of(zone, _)).filter(tableExists)
  override def tableExists(table: Identifier): Boolean = isPath(table) || new File(folder(table), "_delta_log").isDirectory
  override def loadTable(table: Identifier): Table = delta.loadTable(existing(table))
  override def loadTable(table: Identifier, version: String): Table = delta.loadTable(existing(table), version)
  override def loadTable(table: Identifier, timestamp: Long): Table = delta.loadTable(existing(table), timestamp)
  override def alterTable(table: Identifier, changes: TableChange*): Table =
    delta.alterTable(existing(table), changes: _*)

  override def createTable(table: Identifier, columns: Array[Column], by: Array[Transform], p: Properties): Table =
    delta.createTable(at(table), columns, by, p)
  override def stageCreate(table: Identifier, columns: Array[Column], by: Array[Transform], p: Properties): StagedTable =
    delta.stageCreate(at(table), columns, by, p)
  override def stageReplace(table: Identifier, columns: Array[Column], by: Array[Transform], p: Properties): StagedTable =
    delta.stageReplace(at(table), columns, by, p)
  override def stageCreateOrReplace(
      table: Identifier, columns: Array[Column], by: Array[Transform], p: Properties): StagedTable =
    delta.stageCreateOrReplace(at(table), columns, by, p)

  override def listNamespaces(): Array[Array[String]] = folders(lake).map(Array(_))
  override def listNamespaces(zone: Array[String]): Array[Array[String]] = if (zone.isEmpty) listNamespaces() else Array()
  override def namespaceExists(zone: Array[String]): Boolean = zone.length == 1
  override def loadNamespaceMetadata(zone: Array[String]): Properties = new util.HashMap()

  override def dropTable(table: Identifier): Boolean = refuse("drop a dataset")
  override def renameTable(from: Identifier, to: Identifier): Unit = refuse("rename a dataset")
  override def createNamespace(zone: Array[String], metadata: Properties): Unit = refuse("create a zone")
  override def alterNamespace(zone: Array[String], changes: NamespaceChange*): Unit = refuse("alter a zone")
  override def dropNamespace(zone: Array[String], cascade: Boolean): Boolean = refuse("drop a zone")

  private def refuse(what: String): Nothing =
    throw new UnsupportedOperationException(s"Spark SQL cannot $what of the lake $lake; use the thresher library")
}
